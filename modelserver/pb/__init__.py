"""The Open Inference Protocol's messages: inference.proto and what `make protocol` made of it."""
