"""The public SDKs against upstreams that speak another vendor's API: what they play, and what came of it."""
