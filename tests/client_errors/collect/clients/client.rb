# One request by Ruby's net/http; the error goes to standard output. The environment is that of client.py.
require 'net/http'
require 'openssl'
begin
  uri = URI(ENV['URL'])
  proxy = ENV['PROXY'] ? URI(ENV['PROXY']) : nil
  http = Net::HTTP.new(uri.host, uri.port, proxy&.host, proxy&.port)
  http.use_ssl = uri.scheme == 'https'
  http.ca_file = ENV['CA']
  http.max_retries = 0
  http.open_timeout = http.read_timeout = ENV['TIMEOUT'].to_f
  http.start do
    http.get(uri.request_uri) if ENV['WARM']
    http.get(uri.request_uri).value
  end
rescue StandardError => e
  puts ENV['SHAPE'] == 'trace' ? e.full_message(highlight: false) : "#{e.class}: #{e.message}"
end
