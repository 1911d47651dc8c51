"""A search service under load: arrivals that wait for nobody, on loopback, by goals."""
