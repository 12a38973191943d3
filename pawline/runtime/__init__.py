"""Ask a trained model by a light engine, without TensorFlow. `engine.py` is the only module that imports the engine."""
