"""Class activation: where in a picture the evidence for a class lies."""
