"""Answer over HTTP: the same pictures, the same decoder and the same model as `pawline predict`."""
