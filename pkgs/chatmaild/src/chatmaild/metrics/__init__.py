"""chatmail-metrics: exports the daemons' counters to Prometheus."""
