// A client of grpc-go: calls a running service in the ways that clients do, and tells of each what came of it.
//
//	interop ADDRESS [CA.pem]
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	predict = "/seldon.protos.Seldon/Predict"
	streams = 1000
	large   = 8 << 20
)

// raw hands messages over as the bytes that they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(value any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(value.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, value any) error {
	*value.(*[]byte) = data.Materialize()
	return nil
}

// field is a LENGTH field of protobuf.
func field(number byte, value []byte) []byte {
	out := []byte{number<<3 | 2}
	size := uint64(len(value))
	for ; size >= 0x80; size >>= 7 {
		out = append(out, byte(size)|0x80)
	}
	return append(append(out, byte(size)), value...)
}

func text(value string) []byte { return field(5, []byte(value)) }

type client struct{ *grpc.ClientConn }

func (c client) call(ctx context.Context, path string, body []byte, options ...grpc.CallOption) ([]byte, error) {
	var answer []byte
	err := c.Invoke(ctx, path, body, &answer, options...)
	return answer, err
}

// echoed calls, and expects the payload that it sent behind whatever meta there is.
func (c client) echoed(ctx context.Context, body []byte, options ...grpc.CallOption) error {
	answer, err := c.call(ctx, predict, body, options...)
	if err == nil && !bytes.HasSuffix(answer, body) {
		err = fmt.Errorf("%d bytes that do not end with what was sent", len(answer))
	}
	return err
}

func refused(err error, code codes.Code, message string) error {
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), message) {
		return fmt.Errorf("%v instead of %v with %q", err, code, message)
	}
	return nil
}

func (c client) unary(ctx context.Context) error { return c.echoed(ctx, text("a")) }

func (c client) unknown(ctx context.Context) error {
	_, err := c.call(ctx, "/seldon.protos.Seldon/None", nil)
	return refused(err, codes.Unimplemented, "Method not found!")
}

func (c client) broken(ctx context.Context) error {
	_, err := c.call(ctx, predict, []byte{0xff})
	return refused(err, codes.InvalidArgument, "BAD_WIRE")
}

func (c client) unicode(ctx context.Context) error {
	_, err := c.call(ctx, "/inference.GRPCInferenceService/ModelReady", field(1, []byte("ü€")))
	return refused(err, codes.NotFound, "ü€")
}

func (c client) metadata(ctx context.Context) error {
	answer, err := c.call(metadata.AppendToOutgoingContext(ctx, "seldon-puid", "p1"), predict, text("a"))
	if err == nil && !bytes.Contains(answer, []byte("p1")) {
		err = fmt.Errorf("no puid in %q", answer)
	}
	return err
}

func (c client) compressed(ctx context.Context) error {
	return c.echoed(ctx, text(strings.Repeat("a", 10_000)), grpc.UseCompressor(gzip.Name))
}

func (c client) large(ctx context.Context) error {
	return c.echoed(ctx, field(4, bytes.Repeat([]byte("0123456789abcdef"), large/16)))
}

func (c client) deadline(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err := c.call(soon, predict, text("sleep 0.5"))
	return refused(err, codes.DeadlineExceeded, "")
}

func (c client) cancel(ctx context.Context) error {
	soon, cancel := context.WithCancel(ctx)
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err := c.call(soon, predict, text("sleep 0.5"))
	return refused(err, codes.Canceled, "")
}

func (c client) streams(ctx context.Context) error {
	var group sync.WaitGroup
	failures := make([]error, streams)
	for index := range streams {
		group.Add(1)
		go func() {
			defer group.Done()
			failures[index] = c.echoed(ctx, text("call "+strconv.Itoa(index)))
		}()
	}
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c client) health(ctx context.Context) error {
	answer, err := c.call(ctx, "/grpc.health.v1.Health/Check", nil)
	if err == nil && !bytes.Equal(answer, []byte{8, 1}) {
		err = fmt.Errorf("%v is not SERVING", answer)
	}
	return err
}

func dial(arguments []string) (*grpc.ClientConn, error) {
	secure := insecure.NewCredentials()
	if len(arguments) > 1 {
		var err error
		if secure, err = credentials.NewClientTLSFromFile(arguments[1], ""); err != nil {
			return nil, err
		}
	}
	most := 64 << 20
	return grpc.NewClient(
		arguments[0],
		grpc.WithTransportCredentials(secure),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(most), grpc.MaxCallSendMsgSize(most)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, PermitWithoutStream: true}),
	)
}

func main() {
	connection, err := dial(os.Args[1:])
	if err != nil {
		fmt.Println("dial", err)
		os.Exit(1)
	}
	defer connection.Close()
	c := client{connection}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, trial := range []struct {
		name string
		try  func(context.Context) error
	}{
		{"unary", c.unary}, {"unknown", c.unknown}, {"broken", c.broken}, {"unicode", c.unicode},
		{"metadata", c.metadata}, {"compressed", c.compressed}, {"large", c.large}, {"deadline", c.deadline},
		{"cancel", c.cancel}, {"streams", c.streams}, {"health", c.health}, {"unary again", c.unary},
	} {
		if err := trial.try(ctx); err != nil {
			fmt.Printf("%s: %v\n", trial.name, err)
		} else {
			fmt.Printf("%s: ok\n", trial.name)
		}
	}
}
