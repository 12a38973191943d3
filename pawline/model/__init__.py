"""Save a trained model, load it and predict with it. `backend.py` imports TensorFlow."""
