# docker build --tag digitcore . && docker run --publish 127.0.0.1:8501:8501 digitcore
FROM python:3.11-slim AS wheel
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE dashboard.py ./
COPY .streamlit .streamlit
COPY digitcore digitcore
COPY pages pages
COPY weights weights
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /requirements
COPY requirements.txt requirements-onnx.txt ./
# PyTorch's own index, given as --build-arg TORCH_INDEX=URL, has a CPU build that is gigabytes smaller than PyPI's.
ARG TORCH_INDEX=
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} $(grep -E '^torch(vision)?==' requirements.txt) \
    && pip install -r requirements.txt -r requirements-onnx.txt
COPY --from=wheel /wheels /wheels
RUN pip install "$(echo /wheels/digitcore-*.whl)[onnx,postgres]"

RUN useradd --create-home digitcore
USER digitcore
WORKDIR /home/digitcore
# A volume mounted here belongs to the user: weights, data and, without a database, stars and notes.
RUN mkdir -p .local/share/digitcore
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:8501/_stcore/health', timeout=9)"]
# All of the container's addresses: which of the machine's reach it is for --publish, or compose.yaml, to say.
CMD ["digitcore", "dashboard", "--port", "8501", "--address", "0.0.0.0"]
