# One image for every process: the command says which. Nothing of it is written to at run time.
FROM python:3.13-slim
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt
COPY bot ./bot
COPY handlers ./handlers
COPY storage ./storage
RUN useradd --system --no-create-home bot
USER bot
STOPSIGNAL SIGTERM
ENV LOG_FORMAT=json PYTHONUNBUFFERED=1
ENTRYPOINT ["python", "-m", "bot"]
CMD ["run"]
