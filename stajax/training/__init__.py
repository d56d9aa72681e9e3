"""Training: one loop for every net (`train`), what is trained (`tasks`), optimisers, the mesh, checkpoints."""
