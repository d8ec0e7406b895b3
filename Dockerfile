# The container image of Gatehouse: the static binary and the CA certificates that it verifies upstreams with, nothing
# else. Build it with `make image`, which makes the binary and lays out rootfs/ and state/ (no base image is pulled).
FROM scratch

# The process owns its state, and nothing else that is in the image.
COPY rootfs/ /
COPY --chown=65532:65532 state/ /var/lib/

# The numeric user needs no /etc/passwd, and lets Kubernetes check runAsNonRoot.
USER 65532:65532

# Large bodies that are being inspected spill to /tmp; a read-only container mounts a tmpfs there.
ENV TMPDIR=/tmp
WORKDIR /var/lib/gatehouse

EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s --retries=3 CMD ["/gatehouse", "healthcheck"]
ENTRYPOINT ["/gatehouse"]
CMD ["gateway", "-config", "/etc/gatehouse"]
