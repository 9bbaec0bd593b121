// One request by the JDK or a library; the error goes to standard output. The environment is that of client.py.
// Usage: java Client.java LIBRARY (http, url, apache, okhttp).
import java.io.*;
import java.lang.reflect.InvocationTargetException;
import java.net.*;
import java.net.http.*;
import java.time.Duration;

public class Client {
    static final String url = System.getenv("URL");
    static final int timeout = (int) (Double.parseDouble(System.getenv().getOrDefault("TIMEOUT", "1")) * 1000);
    static final String proxy = System.getenv("PROXY");

    static void http() throws Exception {
        var builder = HttpClient.newBuilder().connectTimeout(Duration.ofMillis(timeout)).followRedirects(HttpClient.Redirect.NORMAL);
        if (System.getenv("HTTP2") == null) builder.version(HttpClient.Version.HTTP_1_1);
        if (proxy != null) { var p = URI.create(proxy); builder.proxy(ProxySelector.of(new InetSocketAddress(p.getHost(), p.getPort()))); }
        var client = builder.build();
        var request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofMillis(timeout * 2)).build();
        if (System.getenv("WARM") != null) client.send(request, HttpResponse.BodyHandlers.ofString());
        var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() >= 400) throw new IOException("Unexpected response code: " + answer.statusCode());
    }

    static void url() throws Exception {
        Proxy through = Proxy.NO_PROXY;
        if (proxy != null) { var p = URI.create(proxy); through = new Proxy(Proxy.Type.HTTP, new InetSocketAddress(p.getHost(), p.getPort())); }
        for (int i = System.getenv("WARM") != null ? 0 : 1; i < 2; i++) {
            var connection = (HttpURLConnection) new URL(url).openConnection(through);
            connection.setConnectTimeout(timeout);
            connection.setReadTimeout(timeout);
            connection.getInputStream().readAllBytes();
        }
    }

    // By reflection, so that one source compiles without the library.
    static void apache() throws Exception {
        Class<?> config = Class.forName("org.apache.http.client.config.RequestConfig");
        Object b = config.getMethod("custom").invoke(null);
        for (String setter : new String[] {"setConnectTimeout", "setSocketTimeout"}) b = b.getClass().getMethod(setter, int.class).invoke(b, timeout);
        Class<?> host = Class.forName("org.apache.http.HttpHost");
        if (proxy != null) b = b.getClass().getMethod("setProxy", host).invoke(b, host.getMethod("create", String.class).invoke(null, proxy));
        Object built = b.getClass().getMethod("build").invoke(b);
        Class<?> clients = Class.forName("org.apache.http.impl.client.HttpClients");
        Object cb = clients.getMethod("custom").invoke(null);
        cb = cb.getClass().getMethod("setDefaultRequestConfig", config).invoke(cb, built);
        Object client = cb.getClass().getMethod("build").invoke(cb);
        Class<?> get = Class.forName("org.apache.http.client.methods.HttpGet");
        Class<?> any = Class.forName("org.apache.http.client.methods.HttpUriRequest");
        Object request = get.getConstructor(String.class).newInstance(url);
        Object answer = Class.forName("org.apache.http.client.HttpClient").getMethod("execute", any).invoke(client, request);
        Object entity = Class.forName("org.apache.http.HttpResponse").getMethod("getEntity").invoke(answer);
        if (entity != null) Class.forName("org.apache.http.util.EntityUtils").getMethod("toString", Class.forName("org.apache.http.HttpEntity")).invoke(null, entity);
    }

    static void okhttp() throws Exception {
        Class<?> builderOf = Class.forName("okhttp3.OkHttpClient$Builder");
        Object b = builderOf.getConstructor().newInstance();
        for (String setter : new String[] {"connectTimeout", "readTimeout"}) builderOf.getMethod(setter, long.class, java.util.concurrent.TimeUnit.class).invoke(b, (long) timeout, java.util.concurrent.TimeUnit.MILLISECONDS);
        if (proxy != null) { var p = URI.create(proxy); builderOf.getMethod("proxy", Proxy.class).invoke(b, new Proxy(Proxy.Type.HTTP, new InetSocketAddress(p.getHost(), p.getPort()))); }
        Object client = builderOf.getMethod("build").invoke(b);
        Class<?> rb = Class.forName("okhttp3.Request$Builder");
        Object r = rb.getConstructor().newInstance();
        rb.getMethod("url", String.class).invoke(r, url);
        Object request = rb.getMethod("build").invoke(r);
        Object call = client.getClass().getMethod("newCall", request.getClass()).invoke(client, request);
        Object answer = Class.forName("okhttp3.Call").getMethod("execute").invoke(call);
        Object body = answer.getClass().getMethod("body").invoke(answer);
        Class.forName("okhttp3.ResponseBody").getMethod("string").invoke(body);
        int code = (int) answer.getClass().getMethod("code").invoke(answer);
        if (code >= 400) throw new IOException("Unexpected code " + answer);
    }

    public static void main(String[] args) {
        try {
            Client.class.getDeclaredMethod(args[0]).invoke(null);
        } catch (Throwable thrown) {
            while (thrown instanceof InvocationTargetException && thrown.getCause() != null) thrown = thrown.getCause();
            if ("text".equals(System.getenv("SHAPE"))) System.out.println(thrown);
            else { var out = new StringWriter(); thrown.printStackTrace(new PrintWriter(out)); System.out.println(out); }
            System.out.flush();
        }
        System.exit(0);
    }
}
