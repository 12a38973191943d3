"""Judge a trained model and its data: tables and arrays in, tables and small records out."""
