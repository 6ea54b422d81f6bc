"""The doors: HTTP, web page, command line, settings, batching across requests, wiring."""
