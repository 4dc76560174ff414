# The runtime image: base and locked dependencies, and all that makes a container of a model image run. Named by a hash of
# all that goes into it, built once, pulled by everyone after that (build/build_model/image/runtime.py). What one version adds
# on top of it, `build-model` writes itself. For the classic builder: the docker SDK has no BuildKit.
ARG BASE
FROM ${BASE} AS wheels
LABEL dragoman.stage=wheels
COPY wheelhouse /wheelhouse
# Debian's python3 has no pip; the wheelhouse does, and a wheel can be run.
RUN PYTHONPATH=$(echo /wheelhouse/pip-*.whl) python3 -m pip install --quiet --root-user-action=ignore --no-cache-dir \
    --no-index --no-deps --no-compile --target /out/opt/site-packages /wheelhouse/*.whl
COPY prune.py /
RUN python3 /prune.py /base /out

FROM scratch AS runtime
COPY --from=wheels /base /
COPY --from=wheels /out /
ENV PATH=/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/site-packages \
    PYTHONUNBUFFERED=1 \
    # torch says so whenever numpy, 73 MB that inference doesn't need, isn't there
    PYTHONWARNINGS="ignore:Failed to initialize NumPy"
# prune.py makes the folder: one that is made here would have the time of the build.
WORKDIR /opt/dragoman
# As a number, so that Kubernetes can see that it isn't root.
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python3", "-m", "service", "health"]
CMD ["python3", "-m", "service"]
