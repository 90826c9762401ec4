"""The workshop: break it, see it, fix it. README.md in this folder says how; nothing of the project needs it."""
