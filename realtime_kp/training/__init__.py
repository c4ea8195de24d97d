"""How our weights are made: images, pseudo-labels, pairs of views, losses, loop, model folder."""
