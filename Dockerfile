# syntax=docker/dockerfile:1

# The image brings the Node that a checkout gets from tools/node, which is therefore left out.
FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build

FROM node:26-slim AS dependencies
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && npm cache clean --force

FROM node:26-slim
WORKDIR /app
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    DATABASE_URL=sqlite:////data/postern.db
# All of it belongs to root: the server cannot change itself. The modes hold whatever the umask of the checkout was.
COPY --chmod=644 package.json LICENSE ./
COPY --from=dependencies /build/node_modules node_modules
COPY --chmod=755 bin bin
COPY --from=build /build/dist dist
RUN install -d -o node -g node -m 700 /data
USER node
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8000}/health/ready`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/postern.js"]
CMD ["serve"]
