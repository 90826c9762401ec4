# Stand-in for ghcr.io/astral-sh/uv:VERSION: the two static programs in an otherwise empty image.
FROM scratch
COPY uv uvx /
WORKDIR /io
ENTRYPOINT ["/uv"]
