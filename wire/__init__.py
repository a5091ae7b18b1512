"""What crosses between the control plane and the model server: manifests, signatures, reports.

Plain data with strict parsing on both sides. Nothing here knows Django, ONNX Runtime or a network.
"""
