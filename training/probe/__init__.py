"""What each layer of a frozen encoder knows: linear probes on labelled sets, dense retrieval."""
