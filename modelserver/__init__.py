"""The program in the container: one ONNX model behind the Open Inference Protocol V2.

Its own program: it imports nothing of Django, and nothing else imports ONNX Runtime.
"""
