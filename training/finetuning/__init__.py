"""What fine-tuning of any kind is made of: texts in rows, models in training, validation."""
