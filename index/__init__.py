"""Photos and a network to a gallery, a gallery and a photo to matches: build, evaluate, gate, the serve-side engine."""
