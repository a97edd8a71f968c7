// A client of grpc-java on Netty: calls a running service in the ways that clients do, and tells of each what came.
//
//   java -cp 'classes:jars/*' Interop ADDRESS [CA.pem]

import static java.nio.charset.StandardCharsets.UTF_8;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

final class Interop {
    static final String PREDICT = "seldon.protos.Seldon/Predict";
    static final int STREAMS = 1000;
    static final int LARGE = 8 << 20;

    /** Hands messages over as the bytes that they are. */
    static final MethodDescriptor.Marshaller<byte[]> RAW = new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    };

    interface Trial {
        void run() throws Exception;
    }

    final ManagedChannel channel;

    Interop(ManagedChannel channel) {
        this.channel = channel;
    }

    static MethodDescriptor<byte[], byte[]> method(String path) {
        return MethodDescriptor.newBuilder(RAW, RAW)
            .setType(MethodDescriptor.MethodType.UNARY)
            .setFullMethodName(path)
            .build();
    }

    /** A LENGTH field of protobuf. */
    static byte[] field(int number, byte[] value) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(number << 3 | 2);
        int size = value.length;
        for (; size >= 0x80; size >>>= 7) {
            out.write(size & 0x7f | 0x80);
        }
        out.write(size);
        out.writeBytes(value);
        return out.toByteArray();
    }

    static byte[] text(String value) {
        return field(5, value.getBytes(UTF_8));
    }

    byte[] call(String path, byte[] body, CallOptions options) {
        return ClientCalls.blockingUnaryCall(channel, method(path), options.withWaitForReady(), body);
    }

    static void expect(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalStateException(otherwise);
        }
    }

    static void endsWith(byte[] answer, byte[] body) {
        int start = answer.length - body.length;
        expect(start >= 0 && Arrays.equals(answer, start, answer.length, body, 0, body.length),
            answer.length + " bytes that do not end with what was sent");
    }

    void echoed(byte[] body, CallOptions options) {
        endsWith(call(PREDICT, body, options), body);
    }

    void refused(Callable<?> made, Status.Code code, String message) throws Exception {
        try {
            made.call();
        } catch (StatusRuntimeException error) {
            Status status = error.getStatus();
            boolean told = status.getDescription() != null && status.getDescription().contains(message);
            expect(status.getCode() == code && (told || message.isEmpty()), status + " instead of " + code);
            return;
        }
        throw new IllegalStateException("an answer instead of " + code);
    }

    void puid() {
        Metadata metadata = new Metadata();
        metadata.put(Metadata.Key.of("seldon-puid", Metadata.ASCII_STRING_MARSHALLER), "p1");
        byte[] answer = ClientCalls.blockingUnaryCall(
            io.grpc.ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(metadata)),
            method(PREDICT), CallOptions.DEFAULT, text("a"));
        expect(new String(answer, UTF_8).contains("p1"), "no puid");
    }

    void large() {
        byte[] content = new byte[LARGE];
        for (int index = 0; index < LARGE; index++) {
            content[index] = (byte) (index * 31);
        }
        echoed(field(4, content), CallOptions.DEFAULT.withMaxInboundMessageSize(64 << 20));
    }

    void cancel() throws Exception {
        ClientCall<byte[], byte[]> call = channel.newCall(method(PREDICT), CallOptions.DEFAULT);
        Future<byte[]> answer = ClientCalls.futureUnaryCall(call, text("sleep 0.5"));
        Thread.sleep(100);
        call.cancel("no longer wanted", null);
        try {
            answer.get();
        } catch (java.util.concurrent.ExecutionException error) {
            expect(Status.fromThrowable(error.getCause()).getCode() == Status.Code.CANCELLED, error.toString());
            return;
        }
        throw new IllegalStateException("an answer instead of CANCELLED");
    }

    void streams() throws Exception {
        List<byte[]> bodies = new ArrayList<>();
        List<Future<byte[]>> answers = new ArrayList<>();
        for (int index = 0; index < STREAMS; index++) {
            bodies.add(text("call " + index));
            answers.add(ClientCalls.futureUnaryCall(
                channel.newCall(method(PREDICT), CallOptions.DEFAULT), bodies.get(index)));
        }
        for (int index = 0; index < STREAMS; index++) {
            endsWith(answers.get(index).get(), bodies.get(index));
        }
    }

    Map<String, Trial> trials() {
        CallOptions plain = CallOptions.DEFAULT;
        Map<String, Trial> trials = new LinkedHashMap<>();
        trials.put("unary", () -> echoed(text("a"), plain));
        trials.put("unknown", () -> refused(() -> call("seldon.protos.Seldon/None", new byte[0], plain),
            Status.Code.UNIMPLEMENTED, "Method not found!"));
        trials.put("broken", () -> refused(() -> call(PREDICT, new byte[] {(byte) 0xff}, plain),
            Status.Code.INVALID_ARGUMENT, "BAD_WIRE"));
        trials.put("unicode", () -> refused(
            () -> call("inference.GRPCInferenceService/ModelReady", field(1, "ü€".getBytes(UTF_8)), plain),
            Status.Code.NOT_FOUND, "ü€"));
        trials.put("metadata", this::puid);
        trials.put("compressed", () -> echoed(text("a".repeat(10_000)), plain.withCompression("gzip")));
        trials.put("large", this::large);
        trials.put("deadline", () -> refused(
            () -> call(PREDICT, text("sleep 0.5"), plain.withDeadlineAfter(200, TimeUnit.MILLISECONDS)),
            Status.Code.DEADLINE_EXCEEDED, ""));
        trials.put("cancel", this::cancel);
        trials.put("streams", this::streams);
        trials.put("health", () -> expect(
            Arrays.equals(call("grpc.health.v1.Health/Check", new byte[0], plain), new byte[] {8, 1}), "not SERVING"));
        trials.put("unary again", () -> echoed(text("a"), plain));
        return trials;
    }

    static ManagedChannel channel(String[] arguments) throws Exception {
        NettyChannelBuilder builder = NettyChannelBuilder.forTarget(arguments[0]).keepAliveTime(10, TimeUnit.SECONDS);
        if (arguments.length < 2) {
            return builder.usePlaintext().build();
        }
        return builder.sslContext(GrpcSslContexts.forClient().trustManager(new File(arguments[1])).build()).build();
    }

    public static void main(String[] arguments) throws Exception {
        ManagedChannel channel = channel(arguments);
        new Interop(channel).trials().forEach((name, trial) -> {
            try {
                trial.run();
                System.out.println(name + ": ok");
            } catch (Exception error) {
                System.out.println(name + ": " + error);
            }
        });
        channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
}
