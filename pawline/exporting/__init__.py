"""Write a trained Keras model in the forms of other engines."""
