"""Speed: latency and throughput of the pipeline, costs of its stages, and reference loops."""
