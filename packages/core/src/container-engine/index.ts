export { engineEnvironment } from './engine-environment.ts';
export { staticProgram } from './static-program.ts';
