"""The report and the page of suspects: their content, charts, words and templates."""
