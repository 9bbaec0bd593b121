// One request by .NET's HttpClient; the error goes to standard output. The environment is that of client.py.
using System;
using System.Net;
using System.Net.Http;

public static class Program
{
    public static int Main()
    {
        Func<string, string> env = Environment.GetEnvironmentVariable;
        var handler = new HttpClientHandler { UseProxy = false };
        if (env("PROXY") != null) { handler.UseProxy = true; handler.Proxy = new WebProxy(env("PROXY")); }
        handler.AutomaticDecompression = DecompressionMethods.GZip;
        var client = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(double.Parse(env("TIMEOUT") ?? "1", System.Globalization.CultureInfo.InvariantCulture)) };
        try
        {
            if (env("WARM") != null) client.GetStringAsync(env("URL")).GetAwaiter().GetResult();
            client.GetStringAsync(env("URL")).GetAwaiter().GetResult();
        }
        catch (Exception error)
        {
            if (env("SHAPE") == "text")
            {
                var text = error.GetType().FullName + ": " + error.Message;
                for (var inner = error.InnerException; inner != null; inner = inner.InnerException) text += " ---> " + inner.GetType().FullName + ": " + inner.Message;
                Console.WriteLine(text);
            }
            else Console.WriteLine(error);
        }
        return 0;
    }
}
