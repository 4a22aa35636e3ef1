# syntax=docker/dockerfile:1.7
# feast-node: the server, and every command, as one image. A feature repo is mounted at /repo, or copied into an image
# made from this one. glibc, as DuckDB and onnxruntime come without a build for musl.
FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY protos ./protos
COPY src ./src
RUN npm run build

FROM node:20.20.2-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:20.20.2-bookworm-slim
ENV NODE_ENV=production \
    PATH=/app/bin:$PATH \
    FEATURE_REPO_DIR_ENV_VAR=/repo
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY protos ./protos
RUN mkdir -p bin /repo && chmod +x dist/cli.js && ln -s ../dist/cli.js bin/feast && chown node:node /repo
USER node
WORKDIR /repo
EXPOSE 6566 6567
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:6566/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["feast"]
CMD ["serve", "--host", "0.0.0.0"]
