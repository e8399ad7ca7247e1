/** nginx as a replica. */
export const nginxFiles = (port: number, server: string): Readonly<Record<string, string>> => ({
  'nginx.conf': `
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  client_body_temp_path nginx-body;
  proxy_temp_path nginx-proxy;
  fastcgi_temp_path nginx-fastcgi;
  uwsgi_temp_path nginx-uwsgi;
  scgi_temp_path nginx-scgi;
  access_log off;
  server {
    listen 127.0.0.1:${port};
    ${server}
  }
}
`,
})

/** With the directory of the node, where it finds its configuration. */
export const nginxCommand = (directory: string): string =>
  JSON.stringify(['nginx', '-p', directory, '-c', 'nginx.conf', '-e', 'stderr'])
