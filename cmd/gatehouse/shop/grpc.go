package shop

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The methods of the echo service: Stream sends every message back as it comes, Say is for clients that send one.
const (
	EchoStream = "/shop.v1.Echo/Stream"
	EchoSay    = "/shop.v1.Echo/Say"
)

// newGRPC gives the shop's gRPC services: the standard health check and an echo. It is served by the shop's own HTTP/2
// server, not by a listener of its own.
func newGRPC() *grpc.Server {
	server := grpc.NewServer()
	echo := func(name string) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, Handler: echoMessages, ServerStreams: true, ClientStreams: true}
	}
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "shop.v1.Echo",
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{echo("Stream"), echo("Say")},
	}, nil)
	status := health.NewServer()
	status.SetServingStatus("shop.v1.Echo", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, status)
	return server
}

// echoMessages reads messages of any type into Empty, which keeps every field that it does not know, and so sends them
// back whole: no generated code is needed.
func echoMessages(_ any, stream grpc.ServerStream) error {
	for {
		message := new(emptypb.Empty)
		if err := stream.RecvMsg(message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
}
