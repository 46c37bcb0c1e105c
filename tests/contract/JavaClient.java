// Java's own HttpClient, as every stock Java service uses it: it offers h2c on the first request of a connection.
// java JavaClient.java BASE_URL FILE prints one line a request: its name, the status, the answer's version, the images.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

class JavaClient {
    static final String JSON = "{\"prompt\": \"a quiet harbor\", \"size\": \"256x256\"}";
    static String base;
    static HttpClient client = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        base = arguments[0];
        byte[] image = Files.readAllBytes(Path.of(arguments[1]));
        say("json", client.send(json(BodyPublishers.ofString(JSON)), BodyHandlers.ofString()));
        say("again", client.send(json(BodyPublishers.ofString(JSON)), BodyHandlers.ofString()));
        say("chunked", client.send(json(unsized(JSON.getBytes())), BodyHandlers.ofString()));
        say("form", client.send(form(image), BodyHandlers.ofString()));
        List<CompletableFuture<HttpResponse<String>>> many = new ArrayList<>();
        for (int place = 0; place < 8; place++) {
            many.add(client.sendAsync(json(BodyPublishers.ofString(JSON)), BodyHandlers.ofString()));
        }
        for (CompletableFuture<HttpResponse<String>> one : many) {
            say("parallel", one.get());
        }
        HttpClient plain = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        say("http11", plain.send(json(BodyPublishers.ofString(JSON)), BodyHandlers.ofString()));
    }

    static HttpRequest json(BodyPublisher body) {
        return request("/images/generations", "application/json").POST(body).build();
    }

    static HttpRequest form(byte[] image) {
        String line = "line-between-parts";
        String start = "--" + line + "\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nmake it night\r\n"
            + "--" + line + "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nflux.2-pro\r\n"
            + "--" + line + "\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n";
        String end = "\r\n--" + line + "--\r\n";
        return request("/images/edits", "multipart/form-data; boundary=" + line)
            .POST(BodyPublishers.ofByteArrays(List.of(start.getBytes(), image, end.getBytes())))
            .build();
    }

    static HttpRequest.Builder request(String path, String type) {
        return HttpRequest.newBuilder(URI.create(base + path))
            .header("Authorization", "Bearer test-key")
            .header("Content-Type", type);
    }

    static BodyPublisher unsized(byte[] body) {
        return BodyPublishers.fromPublisher(BodyPublishers.ofByteArray(body));
    }

    static void say(String name, HttpResponse<String> answer) {
        int images = answer.body().split("\"url\":", -1).length - 1;
        System.out.println(name + " " + answer.statusCode() + " " + answer.version() + " " + images);
    }
}
