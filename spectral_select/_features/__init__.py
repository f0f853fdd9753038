"""Features wherever they are stored, read as rows; embedding stores."""
