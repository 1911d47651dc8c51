"""How fast training is: `cloze bench pretrain`."""
