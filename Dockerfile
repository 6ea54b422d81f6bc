# One image a job, told apart by the extras it installs: see docker-compose.yml.
FROM python:3.12-slim
ARG EXTRAS=cpu,postgres
WORKDIR /solesearch
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY catalogue catalogue
COPY crawler crawler
COPY demo demo
COPY index index
COPY migrations migrations
COPY training training
COPY vision vision
COPY benchmarks benchmarks
RUN pip install --no-cache-dir -c constraints.txt -e ".[$EXTRAS]" \
 && useradd --uid 1000 --create-home sole && mkdir /data && chown sole /data
USER sole
ENV SOLESEARCH_DATA_DIR=/data
VOLUME /data
ENTRYPOINT ["solesearch"]
