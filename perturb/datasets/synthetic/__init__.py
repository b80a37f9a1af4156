"""The embedded image family: its shapes, textures and scenes, and their renderer."""
