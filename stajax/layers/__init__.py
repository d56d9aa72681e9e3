"""The operations that must match exactly: convolutions, normalisation, resizing."""
