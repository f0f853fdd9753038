"""Feature tables read by row from any supported source, and embedding stores."""
