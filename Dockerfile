# Stage `runtime`: base and locked dependencies. An image of its own, named by a hash of all that goes into it, built once
# and pulled by everyone after that (build/build_model/image/runtime.py). For the classic builder: the docker SDK has no BuildKit.
ARG BASE
FROM ${BASE} AS wheels
LABEL dragoman.stage=wheels
COPY wheelhouse /wheelhouse
# Debian's python3 has no pip; the wheelhouse does, and a wheel can be run.
RUN PYTHONPATH=$(echo /wheelhouse/pip-*.whl) python3 -m pip install --quiet --root-user-action=ignore --no-cache-dir \
    --no-index --no-deps --no-compile --target /out/opt/site-packages /wheelhouse/*.whl
COPY prune.py /
RUN python3 /prune.py /out

FROM ${BASE} AS runtime
# The official image brings pip; Debian's has none.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/ensurepip /usr/local/lib/python3*/site-packages/*
COPY --from=wheels /out /
ENV LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/site-packages \
    PYTHONUNBUFFERED=1 \
    # torch says so whenever numpy, 73 MB that inference doesn't need, isn't there
    PYTHONWARNINGS="ignore:Failed to initialize NumPy"
USER 10001:10001

ARG RUNTIME=runtime
# The model image: what one version adds. `build-model` sends the classic builder the text from ARG on alone, with the
# runtime image's ID. Two layers: the model's is pushed again only with another model, the code's is small.
FROM ${RUNTIME} AS model
# Whole trees: a folder that COPY has to invent gets the time of the build.
COPY model-layer /
COPY code-layer /
WORKDIR /opt/dragoman
# As a number, so that Kubernetes can see that it isn't root.
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python3", "-m", "service", "health"]
CMD ["python3", "-m", "service"]
