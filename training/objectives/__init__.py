"""What a model is pretrained to do, one objective a file."""
