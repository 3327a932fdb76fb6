"""Line charts as values: points, scales and pictures. Nothing here knows of Textual or of a terminal."""
