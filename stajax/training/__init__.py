"""Training. `first_model` makes the default model that ships."""
