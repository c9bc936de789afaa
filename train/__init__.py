"""A corpus to trained CNN, SVM and fusion, and the figures that compare them."""
