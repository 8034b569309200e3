"""What a training run leaves in its folder, read without the training libraries."""
