"""Training integrations: embeddings, data sets, the training driver, reports (extra `torch`)."""
