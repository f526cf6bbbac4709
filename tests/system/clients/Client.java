// java.net.http and HttpURLConnection; the proxy comes from -Dhttp.proxyHost and -Dhttps.proxyHost, not from the environment.
// usage: java Client.java SHA256
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.ProxySelector;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.MessageDigest;
import java.util.Random;

class Client {
	static String sha(byte[] data) throws Exception {
		StringBuilder hex = new StringBuilder();
		for (byte b : MessageDigest.getInstance("SHA-256").digest(data))
			hex.append(String.format("%02x", b));
		return hex.toString();
	}

	static void same(Object got, Object want) {
		if (!got.equals(want))
			throw new AssertionError(got + " instead of " + want);
	}

	static byte[] byUrlConnection(String url) throws Exception {
		HttpURLConnection c = (HttpURLConnection) new URL(url).openConnection();
		try (InputStream in = c.getInputStream()) {
			return in.readAllBytes();
		}
	}

	public static void main(String[] args) throws Exception {
		HttpClient client = HttpClient.newBuilder().proxy(ProxySelector.getDefault()).build();
		byte[] upload = new byte[5 << 20];
		new Random().nextBytes(upload);
		for (String scheme : new String[] { "http", "https" }) {
			URI big = URI.create(scheme + "://storage.googleapis.com/bytes/16m.bin");
			same(sha(client.send(HttpRequest.newBuilder(big).build(), BodyHandlers.ofByteArray()).body()), args[0]);
			HttpRequest post = HttpRequest.newBuilder(URI.create(scheme + "://test.googleapis.com/hash"))
				.POST(BodyPublishers.ofByteArray(upload)).build();
			same(client.send(post, BodyHandlers.ofString()).body().contains(sha(upload)), true);
			same(sha(byUrlConnection(big.toString())), args[0]);
		}
		HttpRequest two = HttpRequest.newBuilder(URI.create("https://h2.googleapis.com/")).build();
		same(client.send(two, BodyHandlers.ofString()).version(), HttpClient.Version.HTTP_2);
		HttpResponse<String> denied =
			client.send(HttpRequest.newBuilder(URI.create("http://example.com/")).build(), BodyHandlers.ofString());
		same(denied.statusCode(), 403);
		same(denied.body().contains("not-listed"), true);
		try {
			byUrlConnection("https://example.com/");
			throw new AssertionError("a denied name was reached");
		} catch (IOException e) {
			same(e.getMessage().contains("403"), true);
		}
		try {
			HttpResponse<String> r =
				client.send(HttpRequest.newBuilder(URI.create("https://example.com/")).build(), BodyHandlers.ofString());
			same(r.statusCode(), 403);
		} catch (IOException e) {
			same(e.getMessage().contains("403"), true);
		}
		System.out.println("java ok");
	}
}
