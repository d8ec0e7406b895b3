# The container image of Gatehouse: the static binary, the CA certificates that it verifies others with, and nothing else.
#
#   docker build -t gatehouse --build-arg VERSION=$(git describe --tags --always) .
#
# `make image` builds it from bin/gatehouse without any base image: it lays out what the build stage would make, and gives that as
# the build context named build.
FROM docker.io/library/golang:1.26-bookworm AS build
ARG VERSION=devel
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -pgo=auto -trimpath -ldflags "-s -w -X main.buildVersion=$VERSION" -o bin/gatehouse ./cmd/gatehouse \
    && .ci/rootfs bin/gatehouse /etc/ssl/certs/ca-certificates.crt /image

FROM scratch
ARG VERSION=devel
LABEL org.opencontainers.image.title="Gatehouse" \
      org.opencontainers.image.description="A self-hosted web application firewall: gateway and manager" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="Apache-2.0"

# The process owns its state, and nothing else that is in the image.
COPY --from=build /image/rootfs/ /
COPY --from=build --chown=65532:65532 /image/state/ /var/lib/

# The numeric user needs no /etc/passwd, and lets Kubernetes check runAsNonRoot.
USER 65532:65532

# Large bodies that are being inspected spill to /tmp; a read-only container mounts a tmpfs there.
ENV TMPDIR=/tmp
WORKDIR /var/lib/gatehouse

EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s --retries=3 CMD ["/gatehouse", "healthcheck"]
ENTRYPOINT ["/gatehouse"]
CMD ["gateway", "-config", "/etc/gatehouse"]
