/** What of the environment turns tracing on, by the names that OpenTelemetry has given them. */
function isConfigured(environment: NodeJS.ProcessEnv): boolean {
  if (environment.OTEL_SDK_DISABLED === 'true') return false;
  const exporter = environment.OTEL_TRACES_EXPORTER;
  if (exporter !== undefined && exporter !== '') return exporter === 'otlp';
  return Boolean(
    environment.OTEL_EXPORTER_OTLP_ENDPOINT || environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
  );
}

/**
 * Sends spans by OTLP over HTTP where the standard OTEL_ variables say so, and does nothing, not even load the SDK,
 * where they do not. Returns what sends the last spans.
 */
export async function startTracing(
  environment: NodeJS.ProcessEnv,
  version: string,
): Promise<() => Promise<void>> {
  if (!isConfigured(environment)) return async () => {};
  const [{ BatchSpanProcessor, NodeTracerProvider }, { OTLPTraceExporter }, resources] =
    await Promise.all([
      import('@opentelemetry/sdk-trace-node'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = resources;
  const provider = new NodeTracerProvider({
    // In this order, so that OTEL_SERVICE_NAME has the last word.
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'cygni', 'service.version': version }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  return () => provider.shutdown();
}
