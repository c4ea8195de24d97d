"""Training: images, pseudo-labels, pairs of views, losses, training loop, export, quantisation."""
